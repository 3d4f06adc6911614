package operator

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is what both kinds belong to.
var GroupVersion = schema.GroupVersion{Group: "storage.roadkata.dev", Version: "v1"}

const (
	// Finalizer keeps a Bucket in the API server until nothing of it is left in the cloud.
	Finalizer = "storage.roadkata.dev/bucket"

	// Ready is the type of the one condition that the operator writes.
	Ready = "Ready"

	// The reasons of Ready.
	ReasonReady         = "Ready"         // True: the cloud is as the spec and the class want it
	ReasonClassNotFound = "ClassNotFound" // False: the Bucket's class does not exist
	ReasonCloudFailed   = "CloudFailed"   // False: the message is the error's text

	// LeaseName is the name of the leader election's Lease.
	LeaseName = "bucket-operator"
)

// Bucket is a bucket in the cloud.
type Bucket struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BucketSpec   `json:"spec"`
	Status BucketStatus `json:"status,omitempty"`
}

// BucketSpec is what the user wants.
type BucketSpec struct {
	Class         string    `json:"class,omitempty"` // name of a BucketClass in the same namespace
	Region        string    `json:"region"`
	EncryptionKey string    `json:"encryptionKey,omitempty"`
	Lifecycle     Lifecycle `json:"lifecycle,omitzero"`
}

// Lifecycle is what becomes of the things in a bucket as they grow old.
type Lifecycle struct {
	ArchiveAfterDays int32 `json:"archiveAfterDays,omitempty"` // 0: never
	ExpireAfterDays  int32 `json:"expireAfterDays,omitempty"`
}

// BucketStatus is what the operator has seen.
type BucketStatus struct {
	ID         string             `json:"id,omitempty"` // of the bucket in the cloud
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BucketList is a list of Buckets.
type BucketList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Bucket `json:"items"`
}

// BucketClass is what the buckets of one sort have in common.
type BucketClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec BucketClassSpec `json:"spec"`
}

// BucketClassSpec is what the administrator wants.
type BucketClassSpec struct {
	Redundancy string `json:"redundancy"` // zone or region
}

// BucketClassList is a list of BucketClasses.
type BucketClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BucketClass `json:"items"`
}

// NewScheme returns a scheme that knows both kinds.
func NewScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(GroupVersion, &Bucket{}, &BucketList{}, &BucketClass{}, &BucketClassList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return scheme
}

// DeepCopyObject is what controller-gen would write, as is all that follows.
func (b *Bucket) DeepCopyObject() runtime.Object { return b.DeepCopy() }

// DeepCopy returns a copy that shares nothing with b.
func (b *Bucket) DeepCopy() *Bucket {
	if b == nil {
		return nil
	}
	out := new(Bucket)
	b.DeepCopyInto(out)
	return out
}

// DeepCopyInto makes out a copy that shares nothing with b.
func (b *Bucket) DeepCopyInto(out *Bucket) {
	*out = *b
	b.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	b.Status.DeepCopyInto(&out.Status)
}

// DeepCopyInto makes out a copy that shares nothing with s.
func (s *BucketStatus) DeepCopyInto(out *BucketStatus) {
	*out = *s
	if s.Conditions != nil {
		out.Conditions = make([]metav1.Condition, len(s.Conditions))
		for i := range s.Conditions {
			s.Conditions[i].DeepCopyInto(&out.Conditions[i])
		}
	}
}

// DeepCopyObject returns a copy that shares nothing with l.
func (l *BucketList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	out := &BucketList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopy())
	}
	return out
}

// DeepCopyObject returns a copy that shares nothing with c.
func (c *BucketClass) DeepCopyObject() runtime.Object { return c.DeepCopy() }

// DeepCopy returns a copy that shares nothing with c.
func (c *BucketClass) DeepCopy() *BucketClass {
	if c == nil {
		return nil
	}
	out := new(BucketClass)
	*out = *c
	c.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return out
}

// DeepCopyObject returns a copy that shares nothing with l.
func (l *BucketClassList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	out := &BucketClassList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopy())
	}
	return out
}
