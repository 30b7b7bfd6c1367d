package main

import (
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// wantSettings starts a server with each of the flags, and compares lines of its `stats settings` with what is wanted, "name value,...".
func wantSettings(t *testing.T, wanted map[string]string) {
	t.Helper()
	for flags, want := range wanted {
		server := servertest.Start(t, "epoll", strings.Fields(flags)...)
		settings := server.Stats(t, "settings")
		for line := range strings.SplitSeq(want, ",") {
			name, value, _ := strings.Cut(line, " ")
			if settings[name] != value {
				t.Errorf("%q: %s is %q, want %q", flags, name, settings[name], value)
			}
		}
	}
}

// TestAdminOptions: what -o says about walks and pages is so.
func TestAdminOptions(t *testing.T) {
	wantSettings(t, map[string]string{
		"": "lru_crawler yes,lru_crawler_sleep 100,lru_crawler_tocrawl 0,slab_reassign yes,slab_automove 1,track_sizes no," +
			"maxbytes 67108864",
		"-o no_lru_crawler,track_sizes":             "lru_crawler no,track_sizes yes",
		"-o lru_crawler_sleep=7":                    "lru_crawler_sleep 7",
		"-o lru_crawler_tocrawl=9":                  "lru_crawler_tocrawl 9",
		"-o no_slab_reassign,no_slab_automove":      "slab_reassign no,slab_automove 0",
		"-o slab_automove=2":                        "slab_automove 2",
		"-o slab_automove=0,slab_automove":          "slab_automove 1",
		"-o no_modern":                              "lru_crawler no,slab_reassign no,slab_automove 0,maxconns_fast no",
		"-o no_modern,lru_crawler,slab_automove -k": "lru_crawler yes,slab_automove 1",
	})
}

// TestSettingsShowTheProcess: stats settings is true to the flags that are about the protocol.
func TestSettingsShowTheProcess(t *testing.T) {
	wantSettings(t, map[string]string{
		"": "binding_protocol auto-negotiate,shutdown_command no,flush_enabled yes,dump_enabled yes,hot_keys no,auth_enabled_sasl no," +
			"auth_enabled_ascii no,maxconns_fast yes,idle_timeout 0,stat_key_prefix :,domain_socket NULL,umask 700,verbosity 0",
		"-B ascii -A -F -X":   "binding_protocol ascii,shutdown_command yes,flush_enabled no,dump_enabled no",
		"--hot-keys":          "hot_keys yes",
		"-o no_maxconns_fast": "maxconns_fast no",
		"-D | -vv":            "stat_key_prefix |,verbosity 2",
		"-o idle_timeout=77":  "idle_timeout 77",
	})
}
