// Package memory maps the memory of the store outside the Go heap, and makes huge pages of what is all in use.
package memory
