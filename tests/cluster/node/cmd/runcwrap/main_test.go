package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestDocument(t *testing.T) {
	for _, c := range []struct {
		args  []string
		path  string
		whole bool
	}{
		{[]string{"--root", "/r", "create", "--bundle", "/b", "id"}, "/b/config.json", true},
		{[]string{"run", "-b", "/b", "id"}, "/b/config.json", true},
		{[]string{"run", "id"}, "config.json", true},
		{[]string{"--log", "exec", "exec", "--process", "/p.json", "id"}, "/p.json", false},
		{[]string{"exec", "-p", "/p.json", "id"}, "/p.json", false},
		{[]string{"kill", "id"}, "", false},
	} {
		if path, whole := document(c.args); path != c.path || whole != c.whole {
			t.Errorf("%v: got %q %v", c.args, path, whole)
		}
	}
}

func TestReduce(t *testing.T) {
	poor := abilities{bounding: 1, oomScore: 100} // CAP_CHOWN alone
	process := map[string]any{
		"capabilities": map[string]any{"bounding": []any{"CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_FUTURE"}},
		"oomScoreAdj":  json.Number("-999"),
		"rlimits":      []any{map[string]any{"type": "RLIMIT_NOFILE", "hard": json.Number("18446744073709551615"), "soft": json.Number("10")}},
	}
	if !poor.reduce(process) {
		t.Fatal("nothing was reduced")
	}
	left := process["capabilities"].(map[string]any)["bounding"].([]any)
	if len(left) != 2 || left[0] != "CAP_CHOWN" || left[1] != "CAP_FUTURE" || process["oomScoreAdj"] != int64(100) {
		t.Errorf("%v", process)
	}
	if poor.reduce(process) {
		t.Error("reduced twice")
	}
	rich := abilities{bounding: ^uint64(0)}
	if rich.reduce(map[string]any{"oomScoreAdj": json.Number("-999"), "capabilities": map[string]any{"bounding": []any{"CAP_BPF"}}}) {
		t.Error("nothing is lacking, and yet something was taken")
	}
}

func TestAdaptWritesOnlyWhatChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "process.json")
	text := `{"args": ["sh"],   "capabilities": {"bounding": []}, "big": 18446744073709551615}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := adapt(path, false); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != text {
		t.Errorf("got %s", got)
	}
	if err := adapt(path+".missing", false); err == nil {
		t.Error("a missing file is no error")
	}
}
