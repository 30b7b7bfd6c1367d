// Command ringcached is the cache server: memcached's protocol on TCP, UDP and unix sockets, served from io_uring or from epoll.
//
//	ringcached [flags]            serve until SIGINT or SIGTERM; at SIGUSR2 hand over
//	ringcached check [flags]      print the settings that these flags make
//	ringcached probe              print what this kernel offers and which engine is taken
//	ringcached man                print the manual page
//	ringcached statistics         print what each line of stats means
//	ringcached completion SHELL   print a completion script
//
// The command line is memcached's, so that unit files and scripts carry over; flags of ringcached's own have long names only (--engine,
// --batch-depth, ...).
//
// Package config reads the command line into a Config and validates it. Package process is what a server is to its system: signals, daemon, user,
// limits, hand-over. This package has the commands, one in each command_*.go, and puts the server together: service.go joins the configuration
// with what was passed to the process, serve_items.go connects package store, proto and batch by way of handler.go and engine_stats.go.
//
// To add a flag, give Config a field and the flag that writes to it (config/network.go and its neighbours, one for each group of flags), a rule in
// config/validate.go if its value depends on others, and a row in docs/commandline.md; then run make man completions. A line of stats
// gets a row in package statlines; then run make man statistics.
package main
