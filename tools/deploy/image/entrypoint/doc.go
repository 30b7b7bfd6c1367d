// Command entrypoint is the first program of a container of the image, and becomes what it is told to be. As in memcached's official image
// arguments that begin with a dash are the server's flags, and others a command:
//
//	docker run IMAGE                       ringcached
//	docker run IMAGE -m 1024               ringcached -m 1024
//	docker run IMAGE memcached -m 1024     ringcached -m 1024, by its other name
//	docker run IMAGE ringcached probe      ringcached probe
//
// There it is a script; here there is no shell to run one.
package main
