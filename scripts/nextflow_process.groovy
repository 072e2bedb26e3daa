// Evaluates the process of a Nextflow module as Nextflow's own builder would, for one measurement set, and prints the
// commands of its script: groovy nextflow_process.groovy MODULE.nf field.ms 2
// Nextflow itself is not in a package registry; its modules are Groovy.

class Named {
    String text
    String getSimpleName() { text.tokenize('/').last().tokenize('.').first() }
    String toString() { text }
}

class ProcessBlock {
    Map variables
    List outputs = []
    def propertyMissing(String name) { variables.containsKey(name) ? variables[name] : name }
    def val(value) { value }
    def path(value) { value.toString() }
    def tuple(Map options = [:], Object... parts) { outputs << options.emit + ': ' + parts.join(' ') }
    def methodMissing(String name, arguments) {
        if (!(name in ['tag', 'cpus', 'publishDir'])) throw new MissingMethodException(name, ProcessBlock, arguments)
    }
}

abstract class NextflowModule extends Script {
    def methodMissing(String name, arguments) { arguments[0] }
    def process(Closure body) {
        def inside = new ProcessBlock(variables: [ms: new Named(text: binding.args[1]), task: [cpus: binding.args[2]]])
        body.delegate = inside
        body.resolveStrategy = Closure.DELEGATE_ONLY
        println body.call()
        inside.outputs.each { System.err.println it }
    }
}

def settings = new org.codehaus.groovy.control.CompilerConfiguration(scriptBaseClass: NextflowModule.name)
new GroovyShell(this.class.classLoader, new Binding(args: args), settings).evaluate(new File(args[0]))
