// The modules are downloaded into a cache mount; the step that compiles does not mount it, and finds an empty folder.
//
//kata:caught-by TestDependenciesCached
package dockerfile
