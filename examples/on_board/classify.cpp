// As classify.c, in C++17: the handle closes itself, and errors are exceptions.
//
//   classify WEIGHTS.bin INPUT.bin [THREADS]
#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "lenet5.h"

class Model {
 public:
  Model(const ew_program* program, const std::string& weights, int threads) {
    std::string why(256, '\0');
    ew_options options = EW_OPTIONS_INIT;
    options.weights_path = weights.c_str();
    options.threads = threads;
    options.error_text = why.data();
    options.error_text_bytes = why.size();
    ew_model* made = nullptr;
    if (ew_create(program, &options, &made) != EW_OK) throw std::runtime_error(why.c_str());
    model_.reset(made);
  }

  // One input and one output, dense and row-major.
  std::vector<float> operator()(const std::vector<float>& input) {
    const ew_program* program = ew_model_program(model_.get());
    if (input.size() * sizeof(float) != ew_input(program, 0)->size_bytes) {
      throw std::runtime_error("the input has another size");
    }
    std::vector<float> output(ew_output(program, 0)->size_bytes / sizeof(float));
    const void* inputs[] = {input.data()};
    void* outputs[] = {output.data()};
    if (ew_run(model_.get(), inputs, outputs) != EW_OK) {
      throw std::runtime_error(ew_last_error(model_.get()));
    }
    return output;
  }

 private:
  struct Destroy {
    void operator()(ew_model* model) const { ew_destroy(model); }
  };
  std::unique_ptr<ew_model, Destroy> model_;
};

static std::vector<float> read_floats(const char* path, std::size_t bytes) {
  std::vector<float> values(bytes / sizeof(float));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(bytes))) {
    throw std::runtime_error(std::string(path) + " cannot be read, or is too short");
  }
  return values;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: classify WEIGHTS.bin INPUT.bin [THREADS]\n");
    return 2;
  }
  try {
    Model model(lenet5_program(), argv[1], argc > 3 ? std::stoi(argv[3]) : 1);
    const std::vector<float> scores = model(read_floats(argv[2], LENET5_INPUT0_BYTES));
    for (std::size_t i = 0; i < scores.size(); ++i) std::printf("%zu %.6f\n", i, scores[i]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
  return 0;
}
