package kube

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Convert turns an API type into its apply-configuration, which has the same JSON.
func Convert[T any](from any) (*T, error) {
	raw, err := json.Marshal(from)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", from, err)
	}
	into := new(T)
	if err := json.Unmarshal(raw, into); err != nil {
		return nil, fmt.Errorf("decode %T: %w", into, err)
	}
	return into, nil
}

// StatusPatch is a JSON merge patch (RFC 7396) that makes one status of another, if the object has that version. It costs an API server
// less than server-side apply, where one controller alone writes the status. Both are of one type, whose members are replaced whole.
func StatusPatch(version string, from, to any) (client.Patch, error) {
	before, err := Convert[map[string]any](from)
	if err != nil {
		return nil, err
	}
	after, err := Convert[map[string]any](to)
	if err != nil {
		return nil, err
	}
	status := map[string]any{}
	for name := range *before {
		if _, stays := (*after)[name]; !stays {
			status[name] = nil
		}
	}
	for name, value := range *after {
		if !reflect.DeepEqual((*before)[name], value) {
			status[name] = value
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": version}, "status": status})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return client.RawPatch(types.MergePatchType, patch), nil
}

// WriteOver writes a status over the one that it was made from, which the object had at a version. Where the object has another
// version by now, current reads it and says whether that status is still the same: then only something else has changed.
// Otherwise the conflict is returned: a leader that was frozen, and has a successor, must not bring back what it knew.
func WriteOver(version string, write func(version string) error, current func() (version string, same bool, err error)) error {
	conflict := write(version)
	if !apierrors.IsConflict(conflict) {
		return conflict
	}
	version, same, err := current()
	if err != nil || !same {
		return conflict
	}
	return write(version)
}

// Instant is a metav1.Time for an instant, or nil for none.
func Instant(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	// Local, as the API machinery decodes it, so that a status that was read back compares equal.
	return &metav1.Time{Time: t.Truncate(time.Second).Local()}
}

// Condition sets one condition, keeping its last transition if its status stays the same. A message is cut to what the API
// takes, and to UTF-8, or it would be read back as another and written again.
func Condition(conditions *[]metav1.Condition, c metav1.Condition, now time.Time) {
	const longest = 32768
	c.Message = strings.ToValidUTF8(c.Message[:min(len(c.Message), longest)], "")
	c.LastTransitionTime = *Instant(now)
	meta.SetStatusCondition(conditions, c)
}

// True and False make conditions.
func True(kind, reason, message string, generation int64) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: generation}
}

// False makes a condition that does not hold.
func False(kind, reason, message string, generation int64) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: generation}
}
