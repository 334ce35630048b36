package manifests

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// LoadChart reads a chart from its folder.
func LoadChart(folder string) (*chart.Chart, error) {
	loaded, err := loader.Load(folder)
	if err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	return loaded, nil
}

// Template renders a chart as `helm template` does, without its notes. It is an error if the chart's schema refuses the values.
func Template(loaded *chart.Chart, namespace string, values map[string]any) ([]byte, error) {
	release := common.ReleaseOptions{Name: "keyturn", Namespace: namespace, IsInstall: true, Revision: 1}
	all, err := util.ToRenderValues(loaded, values, release, common.DefaultCapabilities)
	if err != nil {
		return nil, fmt.Errorf("prepare values: %w", err)
	}
	rendered, err := engine.Render(loaded, all)
	if err != nil {
		return nil, fmt.Errorf("render chart: %w", err)
	}
	var manifest strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if path.Ext(name) == ".yaml" {
			fmt.Fprintf(&manifest, "---\n# Source: %s\n%s\n", name, rendered[name])
		}
	}
	return []byte(manifest.String()), nil
}
