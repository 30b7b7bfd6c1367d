// Command ringcached is the cache server: memcached's protocol on TCP, UDP and
// unix sockets, served from io_uring or from epoll.
//
//	ringcached [flags]            serve until SIGINT or SIGTERM; at SIGUSR2 hand over
//	ringcached check [flags]      print the settings that these flags make
//	ringcached probe              print what this kernel offers and which engine is taken
//	ringcached man                print the manual page
//	ringcached completion SHELL   print a completion script
//
// The command line is memcached's, so that unit files and scripts carry over;
// what is ours has a long name only (--engine, --batch-depth, ...).
//
// A run has three steps, each in files of its own. Arguments are brought into
// one form (args.go) and parsed into options, which register their own flags
// and validate themselves (options_*.go; -o has a table in extended.go). Options
// become the configurations of packages store, proto and batch, which are put
// together in command_serve.go; handler.go and engine_stats.go are all the glue
// they need. What only a process has is in files of that name: limits,
// privileges, signals, the log, the daemon of -d, the files that tell others of
// the server, and the users of -Y.
//
// At SIGUSR2 a server hands over to a new one (handover.go), which it starts
// (successor.go), talks to (talk.go) and gives its sockets to, in the way in which
// systemd gives sockets (inherit.go).
package main
