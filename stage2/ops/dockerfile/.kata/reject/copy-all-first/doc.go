// All sources are copied before the modules are downloaded: any change of any file downloads them again.
//
//kata:caught-by TestDependenciesCached
package dockerfile
