package strictyaml

import (
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
)

// Encode writes a value as YAML by way of its JSON form, so that json tags
// and MarshalJSON count (a secret stays hidden). Keys keep their order.
func Encode(v any) ([]byte, error) {
	j, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	out, err := yaml.JSONToYAML(j)
	if err != nil {
		return nil, fmt.Errorf("encode as YAML: %w", err)
	}
	return out, nil
}
