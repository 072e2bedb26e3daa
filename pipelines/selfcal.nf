// A module of Nextflow:
//   include { SELFCAL } from './selfcal.nf'
//   workflow { SELFCAL(Channel.fromPath('data/*.ms', type: 'dir')) }
process SELFCAL {
    tag "${ms.simpleName}"
    cpus 8
    publishDir 'selfcal', mode: 'copy'

    input:
    path ms

    output:
    tuple val(ms.simpleName), path("${ms.simpleName}-selfcal/final"), path("${ms.simpleName}-selfcal/report"), emit: product

    script:
    // 4: it diverged, and the best round was kept.
    """
    cleanloop run ${ms} --output ${ms.simpleName}-selfcal \\
        --set campaign.resources.threads=${task.cpus} || [ \$? = 4 ]
    """
}
