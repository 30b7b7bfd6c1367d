// Package kernels tests scripts/test-kernels, with stand-ins for apt and the emulator: which packages it takes, where it finds their
// images and modules, and that no guest that fails passes for one that does not.
package kernels
