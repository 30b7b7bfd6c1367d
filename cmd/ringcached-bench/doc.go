// Command ringcached-bench puts load on memcached servers and compares them.
//
//	ringcached-bench run 127.0.0.1:11211       one load on one running server
//	ringcached-bench top 127.0.0.1:11211       watch one running server on a terminal
//	ringcached-bench compare                   nine experiments with ringcached's engines and others, side by side
//	ringcached-bench limits                    ringcached's costs against their targets
//	ringcached-bench regress OLD NEW           say what changed from one result to another, or between two builds
//	ringcached-bench report result.json        a page of HTML from what compare measured
//	ringcached-bench store                     ringcached's store compared with memcached's
//	ringcached-bench attack                    hostile clients beside a polite one
//	ringcached-bench gen zipf                  make a trace
//	ringcached-bench replay TRACE              replay a trace against one running server
//	ringcached-bench null                      serve canned replies: the lower bound for a request
//	ringcached-bench cost ADDR                 measure what small requests cost a server that holds many items
//	ringcached-bench gonet                     serve with a goroutine for each connection: the server "net" of compare
//
// Each command is a value of type command: its flags are a table, its prose is in help.txt, and what is alike in all of them, from files that
// cannot be written to exit codes, is in main.go and command.go.
//
// Results go to the standard output, progress to the standard error. The exit code is 0 only when every reply was right, no server died,
// compare's load was not the limit, and the results could be written; of regress it is 1 when something got worse, and 2 when it cannot tell.
package main
