package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// known are the kinds that can be checked.
func known() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	var err error
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		err = errors.Join(err, add(scheme))
	}
	return scheme, err
}

// decode reads YAML documents. A field that a kind does not have, or that is there twice, is an error.
func decode(r io.Reader) (objects []runtime.Object, err error) {
	scheme, err := known()
	if err != nil {
		return nil, err
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	documents := utilyaml.NewYAMLReader(bufio.NewReader(r))
	for number := 1; ; number++ {
		document, readErr := documents.Read()
		if errors.Is(readErr, io.EOF) {
			return objects, err
		}
		if readErr != nil {
			return nil, readErr
		}
		if blank(document) {
			continue
		}
		object, _, decodeErr := strict.Decode(document, nil, nil)
		if decodeErr != nil {
			err = errors.Join(err, fmt.Errorf("document %d%s: %s", number, source(document), oneLine(decodeErr)))
			continue
		}
		objects = append(objects, object)
	}
}

// blank documents are those that templates leave where a value turns an object off.
func blank(document []byte) bool {
	for line := range bytes.Lines(document) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}

// source is the template that a document comes from: helm names it in a comment.
func source(document []byte) string {
	for line := range strings.Lines(string(document)) {
		if name, found := strings.CutPrefix(line, "# Source: "); found {
			return " (" + strings.TrimSpace(name) + ")"
		}
	}
	return ""
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
