package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	networkFile = "/etc/cni/net.d/10-kindnet.conflist"
	chain       = "KIND-MASQ"
	// A veth pair a pod, addresses from the node's range, host ports by iptables.
	network = `{"cniVersion": "0.3.1", "name": "kindnet", "plugins": [
  {"type": "ptp", "ipMasq": false, "mtu": 1500,
   "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state", "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": %q}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`
)

// runKindnet stands in for kind's own network daemon, whose module the Go proxy does not have: it configures the
// node's pod network, routes the other nodes' pods to them and masquerades what leaves the pods. It does not enforce
// network policies.
func runKindnet() error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for {
		pause := 5 * time.Second
		if err := converge(client, os.Getenv("NODE_NAME"), os.Getenv("POD_SUBNET")); err != nil {
			fmt.Fprintln(os.Stderr, "kindnet:", err)
			pause = 500 * time.Millisecond
		}
		time.Sleep(pause)
	}
}

func converge(client kubernetes.Interface, here, pods string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	nodes, err := client.CoreV1().Nodes().List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		switch {
		case node.Name == here && node.Spec.PodCIDR == "":
			err = fmt.Errorf("node %s has no range of pod addresses yet", here)
		case node.Name == here:
			err = writeNetwork(node.Spec.PodCIDR)
		case node.Spec.PodCIDR != "":
			err = route(node)
		}
		if err != nil {
			return err
		}
	}
	return masquerade(pods)
}

// writeNetwork renames into place, as containerd reads the folder at any time.
func writeNetwork(subnet string) error {
	want := fmt.Appendf(nil, network, subnet)
	if have, err := os.ReadFile(networkFile); err == nil && bytes.Equal(have, want) {
		return nil
	}
	if err := os.WriteFile(networkFile+".part", want, 0o644); err != nil {
		return err
	}
	return os.Rename(networkFile+".part", networkFile)
}

func route(node core.Node) error {
	_, subnet, err := net.ParseCIDR(node.Spec.PodCIDR)
	if err != nil {
		return err
	}
	for _, address := range node.Status.Addresses {
		if address.Type != core.NodeInternalIP {
			continue
		}
		if err := netlink.RouteReplace(&netlink.Route{Dst: subnet, Gw: net.ParseIP(address.Address)}); err != nil {
			return fmt.Errorf("route to %s: %w", node.Name, err)
		}
	}
	return nil
}

func masquerade(pods string) error {
	_ = iptables("-N " + chain) // exists from the second round on
	for _, rule := range []string{
		chain + " -d " + pods + " -j RETURN",
		chain + " -j MASQUERADE",
		"POSTROUTING -s " + pods + " -m addrtype ! --dst-type LOCAL -j " + chain,
	} {
		if iptables("-C "+rule) == nil {
			continue
		}
		if err := iptables("-A " + rule); err != nil {
			return err
		}
	}
	return nil
}

func iptables(rule string) error {
	output, err := exec.Command("iptables", append([]string{"-w", "-t", "nat"}, strings.Fields(rule)...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %s: %w: %s", rule, err, bytes.TrimSpace(output))
	}
	return nil
}
