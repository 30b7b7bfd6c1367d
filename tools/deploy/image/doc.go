// Command image writes an OCI image of ringcached, for several platforms, as a tar file. It needs no container engine, and the same programs
// give the same file, byte by byte.
//
//	image -o FILE -version V [-revision COMMIT] [-epoch SECONDS] linux/amd64=DIR linux/arm64=DIR
//
// Each DIR has the programs of a platform, both linked statically: ringcached and entrypoint. Beside them is copyright, the licenses of what is
// linked.
//
// main.go reads the arguments, image.go says what the image is and how it is run, layer.go makes its files, and archive.go writes the tar file. `make image`
// builds the programs and runs it.
package main
