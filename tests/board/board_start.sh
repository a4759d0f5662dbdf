#!/bin/sh
# Run once at every start of the emulated board, before anybody can log in.
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /run/sshd
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
hostname board
chmod 1777 /tmp /dev/shm
chmod 700 /run/keys
chmod 600 /run/keys/*
chown -R pi:pi /home/pi
# Root's, but others must be able to read it: sshd reads it as the one who logs in.
mkdir -p /run/authorized && cp /run/keys/authorized_keys /run/authorized/keys
chmod 755 /run/authorized && chmod 644 /run/authorized/keys
mount -t ext4 /dev/vdb /mnt/small && chmod 1777 /mnt/small
mount -t tmpfs -o noexec,mode=1777 noexec /mnt/noexec
mount -t tmpfs -o ro readonly /mnt/readonly
