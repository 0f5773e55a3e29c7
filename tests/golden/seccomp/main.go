// Prints what Docker itself makes of its default profile for a container with our capabilities: one rule a line,
// as "NAME VERDICT [INDEX OP VALUE VALUETWO]…". The verdict is an errno, 0 for allowed. Sorted, as no rule of the
// profile depends on another's place.
//
//	go run . >docker.txt
package main

import (
	"fmt"
	"log"
	"sort"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
	"CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

func verdict(action specs.LinuxSeccompAction, errno *uint, fallback *uint) uint {
	switch {
	case action == specs.ActAllow:
		return 0
	case action != specs.ActErrno:
		log.Fatalf("%s: an action that the tests don't know", action)
	case errno != nil:
		return *errno
	case fallback != nil:
		return *fallback
	}
	return 1
}

func main() {
	spec := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: capabilities}}}
	profile, err := seccomp.GetDefaultProfile(spec)
	if err != nil {
		log.Fatal(err)
	}
	lines := []string{fmt.Sprintf("default %d", verdict(profile.DefaultAction, profile.DefaultErrnoRet, nil))}
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			line := fmt.Sprintf("%s %d", name, verdict(rule.Action, rule.ErrnoRet, profile.DefaultErrnoRet))
			for _, arg := range rule.Args {
				line += fmt.Sprintf(" %d %s %d %d", arg.Index, arg.Op, arg.Value, arg.ValueTwo)
			}
			lines = append(lines, line)
		}
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
}
