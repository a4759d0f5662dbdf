# Prints what a board says of itself, in sections that begin with a line "@@name".
# Plain POSIX sh with the tools of busybox; needs no root. What is absent is left out.
# Read by report_text.py.
LC_ALL=C
export LC_ALL

section() {
    printf '\n@@%s\n' "$1"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

section kernel
uname -s
uname -r
uname -m

# The fifth byte of a program is 1 in a 32-bit file and 2 in a 64-bit one. The program that reads
# it is one of the user space's own; the kernel may be wider.
section width
case $(dd if=/proc/self/exe bs=1 skip=4 count=1 2>/dev/null) in
"$(printf '\001')") echo 32 ;;
"$(printf '\002')") echo 64 ;;
esac

section model
for file in /proc/device-tree/model /sys/class/dmi/id/product_name; do
    if [ -r "$file" ]; then
        tr -d '\000' <"$file"
        break
    fi
done

section compatible
[ -r /proc/device-tree/compatible ] && tr '\000' '\n' </proc/device-tree/compatible

section cpuinfo
grep -E '^(processor|Processor|model name|Features|flags|CPU |Hardware)' /proc/cpuinfo 2>/dev/null

section cpus
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
    name=${cpu##*/}
    for entry in online cpu_capacity cpufreq/cpuinfo_max_freq regs/identification/midr_el1; do
        [ -r "$cpu/$entry" ] && echo "$name $entry $(cat "$cpu/$entry" 2>/dev/null)"
    done
    for index in "$cpu"/cache/index[0-9]*; do
        [ -r "$index/level" ] || continue
        line="$name cache"
        for entry in level type size shared_cpu_list; do
            value=$(cat "$index/$entry" 2>/dev/null)
            line="$line ${value:--}"
        done
        echo "$line"
    done
done

section libc
have getconf && getconf GNU_LIBC_VERSION 2>/dev/null
have ldd && ldd --version 2>&1 </dev/null | head -n 2
# A board without either may still run its C library, which says what it is.
for library in /lib/libc.so.6 /lib/*-linux-gnu*/libc.so.6 /lib64/libc.so.6 /usr/lib/libc.so.6; do
    if [ -x "$library" ]; then
        "$library" 2>/dev/null </dev/null | head -n 1
        break
    fi
done
for loader in /lib/ld-musl-*; do
    [ -e "$loader" ] && echo "musl loader ${loader##*/}"
done

section os
cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null

section memory
grep -E '^(MemTotal|MemFree|MemAvailable):' /proc/meminfo 2>/dev/null

section page
if have getconf && getconf PAGESIZE 2>/dev/null; then
    :
else
    grep KernelPageSize /proc/self/smaps 2>/dev/null | head -n 1
fi

section end
exit 0
