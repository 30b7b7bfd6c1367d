// Command chartcheck checks what a chart renders, as Kubernetes would and further than a schema can: every field has to be one that the API
// has, of its type, and what objects say of each other has to hold.
//
//	helm template ringcached deploy/helm/ringcached | chartcheck
//
// Each mistake is a line; with any the exit code is 1.
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
