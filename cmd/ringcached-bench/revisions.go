package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// revision is a revision of the repository, and the server that was built of it.
type revision struct {
	name   string // as it was asked for
	commit string
	path   string
}

func (r revision) String() string { return fmt.Sprintf("%s (%.12s)", r.name, r.commit) }

// revisionPair is two revisions that were built. Their owner removes them.
type revisionPair struct {
	dir      string
	old, new revision
}

func (p *revisionPair) remove() { _ = os.RemoveAll(p.dir) }

// buildRevisions builds two revisions of the repository that the working directory is in, from worktrees that are removed again. The
// repository's own files and index stay as they are. show is called with what begins.
func buildRevisions(ctx context.Context, names string, show func(string)) (*revisionPair, error) {
	before, after, two := strings.Cut(names, "..")
	if !two || before == "" {
		return nil, fmt.Errorf("revisions: %q is not of the form OLD..NEW", names)
	}
	if after == "" {
		after = "HEAD"
	}
	top, err := git(ctx, ".", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, fmt.Errorf("revisions need a git repository here: %w", err)
	}
	dir, err := os.MkdirTemp("", "ringcached-revisions-")
	if err != nil {
		return nil, err
	}
	p := &revisionPair{dir: dir, old: revision{name: before}, new: revision{name: after}}
	for _, r := range []*revision{&p.old, &p.new} {
		show("building " + r.name)
		if err := r.build(ctx, top, dir); err != nil {
			p.remove()
			return nil, err
		}
	}
	return p, nil
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
