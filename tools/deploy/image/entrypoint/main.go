package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// server is the program that flags alone are for.
const server = "ringcached"

// commandOf is what to run with these arguments.
func commandOf(args []string) []string {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return append([]string{server}, args...)
	}
	return args
}

func main() {
	command := commandOf(os.Args[1:])
	path, err := exec.LookPath(command[0])
	if err == nil {
		err = &os.PathError{Op: "run", Path: path, Err: syscall.Exec(path, command, os.Environ())}
	}
	fmt.Fprintf(os.Stderr, "entrypoint: %v (the image has the programs ringcached and memcached, which are the same, and no shell)\n", err)
	os.Exit(127)
}
