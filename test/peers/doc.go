// Package peers tests scripts/install-peer, with stand-ins for apt: what it fetches, where it puts it, that it starts, and what it says when it cannot.
package peers
