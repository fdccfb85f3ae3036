package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"
)

const containerd = "unix:///run/containerd/containerd.sock"

// runCrictl is the part of crictl that kind calls and a person in the node wants: inspecti, images, ps, pods. The real
// program's module is not in the checksum database, so that it could not be verified.
func runCrictl(args []string) error {
	var words []string
	for at := 0; at < len(args); at++ {
		if args[at] == "-o" || args[at] == "--output" {
			at++ // inspecti writes JSON, the others write tables
		} else if !strings.HasPrefix(args[at], "-") {
			words = append(words, args[at])
		}
	}
	if len(words) == 0 {
		return fmt.Errorf("usage: crictl inspecti IMAGE…|images|ps|pods")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	log := klog.Background()
	table := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	defer table.Flush()
	switch words[0] {
	case "inspecti", "images":
		images, err := remote.NewRemoteImageService(containerd, 5*time.Second, nil, &log)
		if err != nil {
			return err
		}
		if words[0] == "images" {
			listed, err := images.ListImages(ctx, nil)
			for _, image := range listed {
				fmt.Fprintf(table, "%s\t%s\t%d\n", strings.Join(image.RepoTags, ","), image.Id, image.Size)
			}
			return err
		}
		return inspectImages(words[1:], func(name string) (*cri.ImageStatusResponse, error) {
			return images.ImageStatus(ctx, &cri.ImageSpec{Image: name}, false)
		})
	case "ps", "pods":
		runtime, err := remote.NewRemoteRuntimeService(containerd, 5*time.Second, nil, &log)
		if err != nil {
			return err
		}
		if words[0] == "pods" {
			pods, err := runtime.ListPodSandbox(ctx, nil)
			for _, pod := range pods {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", pod.Id, pod.State, pod.Metadata.Namespace, pod.Metadata.Name)
			}
			return err
		}
		containers, err := runtime.ListContainers(ctx, nil)
		for _, container := range containers {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", container.Id, container.State, container.Metadata.Name, container.PodSandboxId)
		}
		return err
	}
	return fmt.Errorf("%q is not in this small crictl", words[0])
}

func inspectImages(names []string, status func(string) (*cri.ImageStatusResponse, error)) error {
	for _, name := range names {
		found, err := status(name)
		if err != nil {
			return err
		}
		if found.Image == nil {
			return fmt.Errorf("no such image %q present", name) // the words of the real program
		}
		image := found.Image
		text, err := json.MarshalIndent(map[string]any{"status": map[string]any{
			"id": image.Id, "repoTags": image.RepoTags, "repoDigests": image.RepoDigests,
			"size": fmt.Sprint(image.Size), "username": image.Username, "pinned": image.Pinned,
		}}, "", "  ")
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	}
	return nil
}
