package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	objects, err := decode(os.Stdin)
	if err == nil {
		err = checkReferences(objects)
	}
	if err == nil && len(objects) == 0 {
		err = errors.New("there are no objects")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("chartcheck: %d objects\n", len(objects))
}
