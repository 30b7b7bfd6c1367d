package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestExtendedKnowsEveryName gives -o every name that memcached knows, each with a
// value that memcached takes.
func TestExtendedKnowsEveryName(t *testing.T) {
	for typed := range strings.FieldsSeq(`
		modern no_modern maxconns_fast no_maxconns_fast idle_timeout=60 hashpower=20 no_hashexpand
		tail_repair_time=10 hash_algorithm=murmur3 lru_crawler no_lru_crawler lru_crawler_sleep=100
		lru_crawler_tocrawl=0 lru_maintainer no_lru_maintainer hot_lru_pct=20 warm_lru_pct=40
		hot_max_factor=0.2 warm_max_factor=2.0 temporary_ttl=61 slab_reassign no_slab_reassign
		slab_automove slab_automove=1 no_slab_automove slab_automove_ratio=0.8 slab_automove_window=30
		slab_automove_freeratio=0.01 slab_chunk_max=512 slab_sizes=100-200-300 track_sizes
		watcher_logbuf_size=256 worker_logbuf_size=64 read_buf_mem_limit=0 resp_obj_mem_limit=64
		inline_ascii_resp no_inline_ascii_resp no_chunked_items drop_privileges no_drop_privileges
		meta_response_old sock_cookie_id=1 relaxed_privileges
		ssl_chain_cert=/x ssl_key=/x ssl_verify_mode=1 ssl_keyformat=PEM ssl_ciphers=X ssl_ca_cert=/x
		ssl_wbuf_size=16 ssl_keyformat=1 ssl_keyformat=2 ssl_keyformat=der ssl_session_cache ssl_kernel_tls ssl_min_version=2 ssl_min_version=3
		proxy_config=/x proxy_config=routelib proxy_arg= proxy_uring proxy_memprofile
		ext_path=/x:1G ext_page_size=64 ext_wbuf_size=4 ext_threads=1 ext_item_size=512 ext_item_age=1
		ext_low_ttl=0 ext_drop_unread no_ext_drop_unread ext_recache_rate=2000 ext_compact_under=1 ext_drop_under=1
		ext_max_frag=0.8 ext_max_sleep=1 ext_io_depth=1
		temporary_ttl=-1 slab_automove_freeratio=-1 lru_crawler_tocrawl=4294967295 sock_cookie_id= modern=1 resp_obj_mem_limit`) {
		o := newExtended()
		if err := (extendedValue{&o}).Set(typed); err != nil {
			t.Errorf("%s: %v", typed, err)
		}
		if o.String() != typed {
			t.Errorf("%s is shown as %s", typed, o.String())
		}
	}
}

// String is how the flag shows itself.
func (o *Extended) String() string { return extendedValue{o}.String() }

func TestExtendedMeaning(t *testing.T) {
	for _, test := range []struct {
		typed  string // values of -o, separated by spaces
		idle   int
		refuse bool
		told   string // names that -v tells of
	}{
		{"", 0, true, ""},
		{"idle_timeout=30", 30, true, ""},
		{"idle_timeout=30 idle_timeout=0", 0, true, ""},
		{"no_maxconns_fast", 0, false, ""},
		{"no_maxconns_fast,maxconns_fast", 0, true, ""},
		{"maxconns_fast,no_maxconns_fast", 0, false, ""},
		{"no_modern", 0, false, ""},
		{"lru_crawler,lru_crawler_sleep=0,slab_automove=2,track_sizes,slab_automove_ratio=1", 0, true, "slab_automove_ratio"},
		{"modern,,hashpower=3 ext_path=/x:1g,hashpower=4,ext_threads=1", 0, true, "modern hashpower"},
	} {
		o := newExtended()
		for value := range strings.FieldsSeq(test.typed) {
			if err := (extendedValue{&o}).Set(value); err != nil {
				t.Errorf("%s: %v", value, err)
			}
		}
		if o.IdleTimeout != test.idle || o.RefuseAtLimit != test.refuse || !slices.Equal(o.told(), strings.Fields(test.told)) {
			t.Errorf("%s: %+v", test.typed, o)
		}
		// urfave/cli sets flags to what they show: that must change nothing.
		before := fmt.Sprintf("%+v", o)
		if err := (extendedValue{&o}).Set(o.String()); err != nil || fmt.Sprintf("%+v", o) != before {
			t.Errorf("%s: set again: %v, %+v; want %s", test.typed, err, o, before)
		}
	}
}

// told is the names that explain tells of with -v.
func (o *Extended) told() (names []string) {
	o.Explain(func(level int, format string, args ...any) {
		if name, found := strings.CutPrefix(fmt.Sprintf(format, args...), "-o "); found && level == 1 {
			names = append(names, before(name, " has no effect here: "))
		}
	})
	return names
}

// TestExtendedWarns: what memcached would do and this server does not is logged in any case, on one line for each kind.
func TestExtendedWarns(t *testing.T) {
	const noStorage = ": there is no storage on disk here"
	for typed, want := range map[string]string{
		"modern,hashpower=20,idle_timeout=5": "",
		"ext_path=/data/file:84G":            "warning: -o ext_path=/data/file:84G" + noStorage + "; 84 GB of items that memcached would keep there will not be\n",
		"modern,ext_path=/data/file:84G,track_sizes,ext_wbuf_size=16": "warning: -o ext_path=/data/file:84G,ext_wbuf_size=16" + noStorage +
			"; 84 GB of items that memcached would keep there will not be\n",
		"ext_path=/a:1t:compact,ext_path=/b:512g": "warning: -o ext_path=/a:1t:compact,ext_path=/b:512g" + noStorage + "; 1536 GB of items that memcached would keep there will not be\n",
		"ext_path=/a:100M,ext_path=/b:2P":         "warning: -o ext_path=/a:100M,ext_path=/b:2P" + noStorage + "; 2147483748 MB of items that memcached would keep there will not be\n",
		"ext_threads=2,ext_item_age=4294967295":   "warning: -o ext_threads=2,ext_item_age=4294967295" + noStorage + "\n",
		"proxy_config=/x,proxy_arg=y": "warning: -o proxy_config=/x,proxy_arg=y: there is no proxy here; " +
			"this server answers from its own cache, and passes nothing on\n",
		"drop_privileges,meta_response_old": "warning: -o drop_privileges: the server sets up no system call filter\n" +
			"warning: -o meta_response_old: meta commands answer HD, and not OK\n",
	} {
		o, got := newExtended(), ""
		if err := (extendedValue{&o}).Set(typed); err != nil {
			t.Errorf("%s: %v", typed, err)
		}
		o.Explain(func(level int, format string, args ...any) {
			if level == 0 {
				got += fmt.Sprintf(format, args...) + "\n"
			}
		})
		if got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}

// TestExtendedRowsExplainThemselves: an option does something or says why not.
func TestExtendedRowsExplainThemselves(t *testing.T) {
	document, err := os.ReadFile("../../../docs/commandline.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range extendedTable {
		if (row.set == nil) == (row.why == "") {
			t.Errorf("%s: either it has an effect or a reason why not", row.name)
		}
		if (row.set == nil) == (row.does != "") {
			t.Errorf("%s: it says what it does if it does something", row.name)
		}
		if findExtended(row.name) == nil {
			t.Errorf("%s is not found", row.name)
		}
		if !strings.Contains(string(document), "`"+row.name+"`") {
			t.Errorf("docs/commandline.md does not mention `%s`", row.name)
		}
	}
}
