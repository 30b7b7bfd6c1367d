// Package keyhash is the hash of an item's key. It is keyed with secrets, so that a client that does not know them cannot choose keys that share a
// bucket of the index.
//
// # The hash
//
// Hash cuts a key of n bytes into pairs of 64-bit words, padded with zeros, and goes through three steps, each with secrets of its own:
//
//  1. NH: it adds up (x+w)*(y+w') over all pairs (x, y) in 128 bits, and adds n times a secret to the upper half. Two different keys of
//     the same length give the same sum with probability 2^-64 at most (J. Black, S. Halevi, H. Krawczyk, T. Krovetz, P. Rogaway, "UMAC:
//     Fast and Secure Message Authentication", CRYPTO 1999), two of different lengths with 2^-57.
//  2. NH again, over the two halves of the sum. This keeps different sums different, with the same probability, and makes the result
//     depend on the key in no linear way.
//  3. Multiply-shift: of each half times a secret of 128 bits it takes bits 64 to 127, and adds the two. For two different inputs the
//     lowest k bits are the same with probability 2^(1-k) at most (M. Dietzfelbinger, "Universal hashing and k-wise independent random
//     variables via integer arithmetic without primes", STACS 1996).
//
// So two keys, whatever their length and bytes, share one of 2^k buckets with probability 2^(1-k) + 2^-56 at most if they were chosen without
// knowing the secrets. This is proven, for all lengths alike.
//
// The proof does not cover a client that sees the effect of hashes: the order of a dump shows which keys are neighbors. No way is
// known to compute the secrets from that, but such a client can store keys at random and keep those that are neighbors, with this hash and with any
// other. Against that client the store limits what one bucket holds (chainMax in store/index.go).
//
// SipHash-1-3 is conjectured, not proven, to be safe against both; it costs 6 ns more for a key of 20 bytes, 1 % of a pipelined get, and 35 ns
// more for one of 250 bytes (AMD EPYC, Go 1.26). The secrets of hash/maphash cannot be kept in a file for the next process.
package keyhash
