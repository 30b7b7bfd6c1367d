// Package sut starts the systems under test, each on cores of its own, and reads what they use.
//
// A [Subject] is a server that can be measured: an engine of ringcached, a variant of its flags, memcached, the null
// server, or a running server at an address. [Subject.Start] makes an [Instance] of it. A [Header] is what every result
// begins with: the [Environment], the options and the servers that took part.
package sut
