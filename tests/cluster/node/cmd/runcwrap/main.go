// Runcwrap is called in place of runc and becomes runc, after taking out of the container's configuration what this
// machine's root cannot give: capabilities outside its bounding set, an OOM score below its own, limits above its own.
// It must not add anything, and where nothing is lacking it must not write at all.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The runc to become; set when this is linked.
var runc = "/usr/sbin/runc"

func main() {
	if path, whole := document(os.Args[1:]); path != "" {
		if err := adapt(path, whole); err != nil {
			fmt.Fprintf(os.Stderr, "runcwrap: %s: %v\n", path, err)
		}
	}
	os.Args[0] = runc
	err := syscall.Exec(runc, os.Args, os.Environ())
	fmt.Fprintf(os.Stderr, "runcwrap: cannot run %s: %v\n", runc, err)
	os.Exit(1)
}

// document names the file that runc is about to read: a whole OCI configuration (create, run, restore), or the
// process part alone (exec). It is empty for every other command.
func document(args []string) (path string, whole bool) {
	command, option := "", ""
	for i, arg := range args {
		switch {
		case command == "":
			switch arg {
			case "create", "run", "restore":
				command, option, whole, path = arg, "-bundle", true, "config.json"
			case "exec":
				command, option = arg, "-process"
			}
		case i+1 < len(args) && (arg == "-"+option || arg == option[:2]):
			path = args[i+1]
			if whole {
				path = filepath.Join(path, "config.json")
			}
		}
	}
	return path, whole
}

func adapt(path string, whole bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // 64-bit integers stay whole
	if err := decoder.Decode(&config); err != nil {
		return err
	}
	process := config
	if whole {
		process, _ = config["process"].(map[string]any)
	}
	can, err := read()
	if err != nil || process == nil || !can.reduce(process) {
		return err
	}
	if text, err = json.Marshal(config); err != nil {
		return err
	}
	if err := os.WriteFile(path+".runcwrap", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".runcwrap", path)
}

// reduce edits the process part and says whether anything had to go.
func (can abilities) reduce(process map[string]any) bool {
	changed := can.reduceCapabilities(process)
	if can.has("CAP_SYS_RESOURCE") {
		return changed
	}
	if score, ok := process["oomScoreAdj"].(json.Number); ok {
		if wanted, err := score.Int64(); err == nil && wanted < can.oomScore {
			process["oomScoreAdj"] = can.oomScore
			changed = true
		}
	}
	limits, _ := process["rlimits"].([]any)
	for _, entry := range limits {
		if limit, ok := entry.(map[string]any); ok && reduceLimit(limit) {
			changed = true
		}
	}
	return changed
}

func (can abilities) reduceCapabilities(process map[string]any) bool {
	sets, _ := process["capabilities"].(map[string]any)
	changed := false
	for name, value := range sets {
		wanted, _ := value.([]any)
		given := make([]any, 0, len(wanted))
		for _, entry := range wanted {
			if capability, ok := entry.(string); ok && can.has(capability) {
				given = append(given, capability)
			}
		}
		if len(given) < len(wanted) {
			sets[name], changed = given, true
		}
	}
	return changed
}

func reduceLimit(limit map[string]any) bool {
	kind, _ := limit["type"].(string)
	resource, known := resources[strings.TrimPrefix(kind, "RLIMIT_")]
	var own syscall.Rlimit
	if !known || syscall.Getrlimit(resource, &own) != nil {
		return false
	}
	changed := false
	for _, bound := range []string{"hard", "soft"} {
		number, _ := limit[bound].(json.Number)
		var value uint64
		if _, err := fmt.Sscan(string(number), &value); err == nil && value > own.Max {
			limit[bound], changed = own.Max, true
		}
	}
	return changed
}
