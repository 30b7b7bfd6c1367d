package main

import "os"

func main() {
	becomeSuccessor()
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}
