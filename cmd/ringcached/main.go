package main

import "os"

func main() {
	playPart()
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}
