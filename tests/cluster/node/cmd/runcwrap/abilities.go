package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Capabilities by number, as in linux/capability.h.
var capabilities = strings.Fields(`
	CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
	SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER
	SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
	SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
	MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// Resources by name, as in asm-generic/resource.h.
var resources = map[string]int{
	"CPU": 0, "FSIZE": 1, "DATA": 2, "STACK": 3, "CORE": 4, "RSS": 5, "NPROC": 6, "NOFILE": 7,
	"MEMLOCK": 8, "AS": 9, "LOCKS": 10, "SIGPENDING": 11, "MSGQUEUE": 12, "NICE": 13, "RTPRIO": 14, "RTTIME": 15,
}

// What this process may hand to a container.
type abilities struct {
	bounding uint64
	oomScore int64
}

func (can abilities) has(capability string) bool {
	for number, name := range capabilities {
		if capability == "CAP_"+name {
			return can.bounding&(1<<number) != 0
		}
	}
	return true // newer than this list: runc decides
}

func read() (can abilities, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return can, err
	}
	_, rest, found := strings.Cut(string(status), "\nCapBnd:")
	if !found {
		return can, fmt.Errorf("no CapBnd in /proc/self/status")
	}
	if can.bounding, err = strconv.ParseUint(strings.Fields(rest)[0], 16, 64); err != nil {
		return can, err
	}
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return can, err
	}
	can.oomScore, err = strconv.ParseInt(strings.TrimSpace(string(score)), 10, 64)
	return can, err
}
