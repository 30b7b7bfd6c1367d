package proto

// command is a row of the table: a name of the text protocol and what it does.
type command struct {
	name   string
	min    int  // fewest tokens, the name among them; fewer is a bad command line
	quiet  bool // noreply as the last token hides the reply
	padded bool // found behind leading spaces too
	keys   bool // takes what follows as it comes: the line is not split for it
	// run answers w.req and says how much of w.req.in was used.
	run func(w *Worker, s *session, r *request) (int, step)
}

// commands of the text protocol. get and set of the plainest form do not come here: see text.
var commands = [...]command{
	{name: "get", min: 1, keys: true, run: get(0)},
	{name: "gets", min: 1, keys: true, run: get(flagCAS)},
	{name: "gat", min: 3, run: getAndTouch(0)},
	{name: "gats", min: 3, run: getAndTouch(flagCAS)},
	{name: "set", min: 5, run: storage(verbSet)},
	{name: "add", min: 5, run: storage(verbAdd)},
	{name: "replace", min: 5, run: storage(verbReplace)},
	{name: "append", min: 5, run: storage(verbAppend)},
	{name: "prepend", min: 5, run: storage(verbPrepend)},
	{name: "cas", min: 5, run: storage(verbCAS)},
	{name: "incr", min: 3, quiet: true, run: arithmetic(true)},
	{name: "decr", min: 3, quiet: true, run: arithmetic(false)},
	{name: "delete", min: 2, quiet: true, run: deleteKey},
	{name: "touch", min: 3, quiet: true, run: touchKey},
	{name: "flush_all", min: 1, quiet: true, padded: true, run: overConnections(flushAll)},
	{name: "verbosity", min: 1, quiet: true, padded: true, run: overConnections(setVerbosity)},
	{name: "stats", min: 1, run: showStats},
	{name: "version", min: 1, run: showVersion},
	{name: "quit", min: 1, run: quit},
	{name: "shutdown", min: 1, quiet: true, padded: true, run: overConnections(shutdown)},
	{name: "cache_memlimit", min: 1, quiet: true, padded: true, run: overConnections(cacheMemlimit)},
	{name: "slabs", min: 1, quiet: true, padded: true, run: overConnections(slabs)},
	{name: "lru", min: 1, quiet: true, padded: true, run: overConnections(lru)},
	{name: "lru_crawler", min: 1, quiet: true, padded: true, run: overConnections(lruCrawler)},
	{name: "watch", min: 1, run: overConnections(watch)},
	{name: "mg", min: 1, keys: true, run: metaGet},
	{name: "ms", min: 1, keys: true, run: metaSet},
	{name: "md", min: 1, keys: true, run: metaDelete},
	{name: "ma", min: 1, keys: true, run: metaArithmetic},
	{name: "mn", min: 1, keys: true, run: metaNoop},
	{name: "me", min: 1, keys: true, run: metaDebug},
}

// longestName is the length of the longest command's name.
const longestName = 14

// byLength are the commands by the length of their names, so that finding one compares a few names of the same length.
var byLength = func() (t [longestName + 1][]*command) {
	for i := range commands {
		c := &commands[i]
		t[len(c.name)] = append(t[len(c.name)], c)
	}
	return t
}()

// find gives the command of that name, nil if there is none.
func find(name []byte) *command {
	if len(name) > longestName {
		return nil
	}
	for _, c := range byLength[len(name)] {
		if c.name == string(name) {
			return c
		}
	}
	return nil
}
