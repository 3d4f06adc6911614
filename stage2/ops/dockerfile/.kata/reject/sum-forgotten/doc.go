// go.sum stays out of the context, as a generated file: the modules are downloaded unverified, and the compiler refuses them.
//
//kata:caught-by TestBuilds TestDependenciesCached
package dockerfile
