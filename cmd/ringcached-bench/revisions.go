package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// revision is a revision of the repository, and the server that was built of it.
type revision struct{ name, commit, path string } // the name is what was asked for

func (r *revision) String() string { return fmt.Sprintf("%s (%.12s)", r.name, r.commit) }

// buildRevisions builds the servers of OLD..NEW, revisions of the repository here, below dir, from worktrees that are
// removed again: its own files and index stay as they are. show is called with what begins.
func buildRevisions(ctx context.Context, names, dir string, show func(string)) (before, after *revision, err error) {
	first, second, two := strings.Cut(names, "..")
	if !two || first == "" {
		return nil, nil, fmt.Errorf("revisions: %q is not of the form OLD..NEW", names)
	}
	top, err := git(ctx, ".", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, nil, fmt.Errorf("revisions need a git repository here: %w", err)
	}
	before, after = &revision{name: first}, &revision{name: cmp.Or(second, "HEAD")}
	for _, r := range []*revision{before, after} {
		show("building " + r.name)
		if err := r.build(ctx, top, dir); err != nil {
			return nil, nil, err
		}
	}
	return before, after, nil
}

// build builds the revision's server below dir.
func (r *revision) build(ctx context.Context, top, dir string) (err error) {
	if r.commit, err = git(ctx, top, "rev-parse", "--verify", "--end-of-options", r.name+"^{commit}"); err != nil {
		return fmt.Errorf("revision %s: %w", r.name, err)
	}
	r.path = filepath.Join(dir, "ringcached-"+r.commit)
	if _, err := os.Stat(r.path); err == nil {
		return nil // both are the same
	}
	tree := filepath.Join(dir, "source-"+r.commit)
	if _, err := git(ctx, top, "worktree", "add", "--detach", "--quiet", tree, r.commit); err != nil {
		return fmt.Errorf("revision %s: %w", r.name, err)
	}
	defer func() { // also when ctx has ended
		_, rerr := git(context.WithoutCancel(ctx), top, "worktree", "remove", "--force", tree)
		err = errors.Join(err, rerr)
	}()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", r.path, "./cmd/ringcached")
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile builds it
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", r.name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// git runs git and returns what it wrote, without the last line end.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(failed.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}
