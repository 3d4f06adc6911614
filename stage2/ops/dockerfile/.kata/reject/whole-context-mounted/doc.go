// The download sees its go.mod through a bind mount, but of the whole context: every file is part of the step's cache key.
//
//kata:caught-by TestDependenciesCached
package dockerfile
