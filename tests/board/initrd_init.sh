#!/bin/busybox sh
# First process of the emulated board: loads the drivers, mounts the disk, hands over to its init.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
for module in $(cat /modules/order); do
  insmod "/modules/$module" || echo "insmod $module failed"
done
until mount -t ext4 -o noatime /dev/vda /disk; do sleep 0.1; done
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
mkdir -p /disk/dev /disk/proc /disk/sys /disk/run /disk/tmp
mount -t tmpfs -o mode=755,size=16m run /disk/run
# Keys are the run's, not the image's: the kernel gets them behind this archive.
cp -r /keys /disk/run/keys
mount --move /dev /disk/dev
mount --move /proc /disk/proc
exec switch_root /disk /sbin/init
