// Package rows is how the store keeps its items. It changes with every release.
package rows

// Row is a stored item.
type Row struct {
	Name  string
	Cents int64
}

// All returns the stored items.
func All() []Row {
	return []Row{{"tea", 1250}, {"coffee", 980}}
}
