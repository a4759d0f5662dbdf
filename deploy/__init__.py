"""From compiled code to a bundle that runs somewhere: boards, toolchain, bundle, runners."""
