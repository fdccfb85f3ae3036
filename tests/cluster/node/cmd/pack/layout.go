package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
)

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (d descriptor) path() string { return "blobs/sha256/" + d.Digest[len("sha256:"):] }

// One entry of `manifest.json`, which the loaders that do not know OCI layouts read.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// An OCI image layout inside a tar file.
type layout struct {
	tar    *tar.Writer
	known  map[string]descriptor
	index  []descriptor
	images []saved
}

// layer adds a folder's tar file, or a tar file as it is, written to a temporary file first because a tar header names the size.
func (l *layout) layer(folder string) (descriptor, error) {
	temporary, err := os.CreateTemp("", "layer-*.tar")
	if err != nil {
		return descriptor{}, err
	}
	defer os.Remove(temporary.Name())
	defer temporary.Close()
	hash := sha256.New()
	if err := layerTar(folder, io.MultiWriter(temporary, hash)); err != nil {
		return descriptor{}, err
	}
	size, err := temporary.Seek(0, io.SeekCurrent)
	if err != nil {
		return descriptor{}, err
	}
	if _, err := temporary.Seek(0, io.SeekStart); err != nil {
		return descriptor{}, err
	}
	found := descriptor{MediaType: layerType, Digest: fmt.Sprintf("sha256:%x", hash.Sum(nil)), Size: size}
	return found, l.blob(found, temporary)
}

func (l *layout) blob(as descriptor, content io.Reader) error {
	if _, done := l.known[as.Digest]; done {
		return nil
	}
	l.known[as.Digest] = as
	return l.file(as.path(), as.Size, content)
}

func (l *layout) file(name string, size int64, content io.Reader) error {
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, Format: tar.FormatGNU}
	if err := l.tar.WriteHeader(&header); err != nil {
		return err
	}
	_, err := io.Copy(l.tar, content)
	return err
}

func (l *layout) json(mediaType string, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	found := descriptor{MediaType: mediaType, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(text)), Size: int64(len(text))}
	return found, l.blob(found, bytes.NewReader(text))
}

func (l *layout) image(image image, layers map[string]descriptor) error {
	var blobs []descriptor
	var digests, paths []string
	for _, name := range image.Layers {
		blobs = append(blobs, layers[name])
		digests = append(digests, layers[name].Digest)
		paths = append(paths, layers[name].path())
	}
	settings := map[string]any{"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	for name, value := range image.Config {
		settings[name] = value
	}
	config, err := l.json(configType, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z", "config": settings,
		"rootfs": map[string]any{"type": "layers", "diff_ids": digests},
	})
	if err != nil {
		return err
	}
	manifest, err := l.json(manifestType, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": blobs,
	})
	if err != nil {
		return err
	}
	manifest.Annotations = map[string]string{"io.containerd.image.name": image.Name}
	l.index = append(l.index, manifest)
	l.images = append(l.images, saved{Config: config.path(), RepoTags: []string{image.Name}, Layers: paths})
	return nil
}

func (l *layout) finish() error {
	if err := l.document("oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}); err != nil {
		return err
	}
	if err := l.document("index.json", map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": l.index}); err != nil {
		return err
	}
	if err := l.document("manifest.json", l.images); err != nil {
		return err
	}
	return l.tar.Close()
}

func (l *layout) document(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return l.file(name, int64(len(text)), bytes.NewReader(text))
}
