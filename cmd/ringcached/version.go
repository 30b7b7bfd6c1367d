package main

// version is the release of ringcached, in digits and dots.
const version = "0.1.0"

// memcachedVersion is what the commands `version` and `stats` answer: the release
// of memcached whose commands and replies these are. Clients decide by it what
// they may send, and libmemcached takes a major version of 0 for an error.
const memcachedVersion = "1.6.45"
