// Package zipf draws numbers by Zipf's law, which is how popular the keys are that a cache is asked for: the k-th most popular one is asked for
// proportionally to 1/k^s.
package zipf
