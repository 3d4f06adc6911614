// The modules lie in the layer; the step that compiles mounts a cache over them.
//
//kata:caught-by TestDependenciesCached
package dockerfile
