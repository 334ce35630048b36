package cluster

import (
	"crypto/tls"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestKubeconfigs(t *testing.T) {
	l := layout{folder: filepath.Join(t.TempDir(), ".run")}
	if _, err := createCredentials(l, "https://127.0.0.1:6443"); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path   string
		user   string
		groups []string
	}{
		"the administrator may do everything":         {path: l.kubeconfig(), user: "admin", groups: []string{"system:masters"}},
		"the operator has only what roles give to it": {path: l.operatorKubeconfig(), user: operatorUser},
	} {
		t.Run(name, func(t *testing.T) {
			config := readKubeconfig(t, test.path)
			if server := config.Clusters[0].Cluster.Server; server != "https://127.0.0.1:6443" {
				t.Errorf("server = %q", server)
			}
			pair, err := tls.X509KeyPair(decode(t, config.Users[0].User.Certificate), decode(t, config.Users[0].User.Key))
			if err != nil {
				t.Fatal(err)
			}
			if pair.Leaf.Subject.CommonName != test.user {
				t.Errorf("user = %q, want %q", pair.Leaf.Subject.CommonName, test.user)
			}
			if diff := cmp.Diff(test.groups, pair.Leaf.Subject.Organization); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCredentialsAreForTheUserAlone(t *testing.T) {
	l := layout{folder: filepath.Join(t.TempDir(), ".run")}
	if _, err := createCredentials(l, "https://127.0.0.1:6443"); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(l.run(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

type kubeconfigFile struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Certificate string `json:"client-certificate-data"`
			Key         string `json:"client-key-data"`
		} `json:"user"`
	} `json:"users"`
}

func readKubeconfig(t *testing.T, path string) kubeconfigFile {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config kubeconfigFile
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	return config
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
