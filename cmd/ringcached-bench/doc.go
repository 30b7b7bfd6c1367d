// Command ringcached-bench puts load on memcached servers and compares them.
//
//	ringcached-bench run 127.0.0.1:11211       one load on one running server
//	ringcached-bench compare                   nine experiments with ringcached's engines and others, side by side
//	ringcached-bench limits                    what ringcached costs, next to its targets
//	ringcached-bench store                     what ringcached's store is worth, next to memcached's
//	ringcached-bench report result.json        a page of HTML from what compare measured
//
// Results go to the standard output, progress to the standard error. The exit code is 0 only when every reply was right and no server died.
package main
