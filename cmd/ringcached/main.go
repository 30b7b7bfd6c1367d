package main

import (
	"os"

	"ringcached/cmd/ringcached/process"
)

func main() {
	process.PlayPart()
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}
