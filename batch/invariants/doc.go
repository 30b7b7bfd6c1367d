// Package invariants says whether package batch checks itself, which costs time: with the build tag invariants it does.
package invariants
