package main

import (
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The standard names of what an image says about itself: https://specs.opencontainers.org/image-spec/annotations/
const (
	labelPrefix = "org.opencontainers.image."
	title       = "ringcached"
	description = "A cache server that speaks memcached's protocol, on io_uring"
	licenses    = "MIT"
)

// labels are those of an image, and the annotations of its index.
func (r release) labels() map[string]string {
	labels := map[string]string{
		labelPrefix + "title":       title,
		labelPrefix + "description": description,
		labelPrefix + "licenses":    licenses,
		labelPrefix + "version":     r.version,
		labelPrefix + "created":     r.created.Format(time.RFC3339),
	}
	if r.revision != "" {
		labels[labelPrefix+"revision"] = r.revision
	}
	return labels
}

// makeIndex is the image of all platforms.
func makeIndex(r release, all []programs) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range all {
		image, err := makeImage(r, p)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &p.platform},
		})
	}
	annotated, ok := mutate.Annotations(index, r.labels()).(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("an index with annotations is none")
	}
	return annotated, nil
}

// makeImage is the image of one platform: one layer on nothing.
func makeImage(r release, p programs) (v1.Image, error) {
	layer, err := rootLayer(p, r.created)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:     layer,
		MediaType: types.OCILayer,
		History:   v1.History{Created: v1.Time{Time: r.created}, CreatedBy: "tools/deploy/image", Comment: title + " " + r.version},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Variant = p.platform.Architecture, p.platform.OS, p.platform.Variant
	config.Created = v1.Time{Time: r.created}
	config.Config = runConfig(r)
	return mutate.ConfigFile(image, config)
}

// runConfig is how a container of the image is run. It is that of memcached's official image, with a program in the place of its script.
func runConfig(r release) v1.Config {
	user := fmt.Sprint(userID)
	return v1.Config{
		User:         user + ":" + user,
		ExposedPorts: map[string]struct{}{"11211/tcp": {}},
		Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Entrypoint:   []string{"/" + binDir + "/entrypoint"},
		Cmd:          []string{"ringcached"},
		WorkingDir:   "/",
		Labels:       r.labels(),
		StopSignal:   "SIGTERM",
	}
}
