/*
 * What texts in tokens are likely to say: the dictionary of token format 1. Both packing and unpacking start from it, so
 * it never changes: another dictionary is another format. Names here need not be those of today's kernels; the likeliest
 * stand last, where a reference to them is shortest.
 */
export const DICTIONARY = new TextEncoder().encode(
  `kho-bitmap-finalize kho-restore-any-order kho-populate-cleanup kho-numa-split kho-blob-size kho-kexec-metadata
 +kho-scratch-align +kho-radix-destroy +kho-radix-tree +kho-extended-scratch +deserialize-file-errors
 +deserialize-latch -deserialize-latch +direction-check -direction-check +name-check -name-check +finish-reserved
 +retrieve-fd-guard +retrieve-lock -retrieve-lock +file-block-set +session-block-set -session-block-set +luo-ser
 +file-blocks +session-blocks +blocks-unlocked +shrink-unlocked +double-preserve +retrieve-status +module-per-file
 +flb-incoming-ref +memfd-seals +memfd-dirty +memfd-unwind +get-name -get-name +serialize-rwsem -serialize-rwsem
fault luo_fdt_setup:fdt nth 0
fault luo_state_setup:luo_ser nth 0
fault luo_flb_setup_outgoing:page nth 0
fault luo_session_setup_outgoing:block nth 0
fault kho_kexec_metadata_init:page nth 0
fault "kho_init:radix root" nth 0
fault kho_init:fdt nth 0
fault kho_radix_add_page:node nth 0
fault kho_test_generate_data:folios_info nth 0
fault kho_test_save_fdt:fdt nth 0
fault memfd_luo_preserve_folios:folios_ser probability 0.3
fault memfd_luo_retrieve_folios:mem_cgroup_charge nth 0
fault shmem_alloc_folio:folio nth 0
fault xa_load_or_alloc:bitmap nth 0
fault xa_load_or_alloc:node nth 0
fault luo_preserve_file:xa_insert nth 0
fault luo_file_freeze_one:freeze nth 0
fault luo_session_freeze_one:freeze nth 0
fault luo_session_insert:block nth 0
fault kmem_cache_alloc:pages probability 0.01
fault alloc_file:filp nth 0
fault __kho_preserve_order:order probability 0.05
corrupt 0 at 0x1401000 = ffffffff
choose defaults
choose do_exit:schedule 0 = 1
choose mutex_lock:wait 0 = 1
choose down_read:wait 0 = 1
choose down_write:wait 0 = 1
choose "kernel_kexec:hook returned" 0 = 1
choose luo_session_retrieve:unlocked 0 = 1
choose luo_session_serialize:unlocked 0 = 1
choose schedule:start 0 = 1
choose machine_kexec:leftovers 0 = 2
choose machine_kexec:pattern 0 = 1
choose machine_kexec:leftovers 1 = 3
choose machine_kexec:pattern 1 = 1
choose exit_to_user_mode:preempt 1 = 1
choose exit_to_user_mode:preempt 2 = 2
choose exit_to_user_mode:preempt 3 = 1
choose exit_to_user_mode:preempt 4 = 1
choose exit_to_user_mode:preempt 10 = 1
{"scenario":"kho-test","revision":"v7.1,v7.3","generations":"3","seed":"1","ram":"512M","nodes":"2","cpus":"4"}
{"scenario":"taken-name","revision":"v7.3","generations":"2","sessions":"51","name":"many-test-%d","seed":"1",
{"scenario":"many-sessions","revision":"april-v1-p1","generations":"2","sessions":"2000","name":"many-test-%d","seed":"1","ram":"1G","nodes":"1","cpus":"2"}
luosim 1
machine ram 512M nodes 2 cpus 4
profile dram
seed 2

kernel v6.19 times 2
stage
  task test_kho
    kho-test restore
    kho-test save

kernel april-v1
stage
  task memory
    open
    create state
    memfd memory-%d 0..2 4K
    allocate memory-0 64K
    truncate memory-0 2M
    seal memory-0 grow shrink
    write memory-0 at 0 bytes 4096 seed 7
    fill memory-0 every 4096 seed 7
    reclaim
    seek memory-0 0
    preserve memory-0 session state token 0
    close-file memory-0
    retrieve-fd memory-0 session state token 0
    read memory-0
    get-name s0
    exit

kernel april-v1-p1
stage
  task agent-0
    open
    retrieve many-test-%d 0..50
    finish many-test-%d 0..50
    close many-test-%d 0..50
    create many-test-%d 0..50
    close-device
stage
  task init
    load
    reboot

kernel v7.0
stage
  task p
    open
    create s%d 0..2
    close s0
  task p
    create t%d 0..9
  task init
    load
    reboot

kernel v7.0
stage
  task p
    open
    retrieve s%d 0..2
luosim 1
machine ram 16M cpus 1
seed 3

kernel v7.1
stage
  task agent
    open
    create a
    close a
stage
  task init
    load
    reboot

kernel v7.1
stage
  task agent
    open
    retrieve a
luosim 1
machine ram 16M

kernel v7.3
stage
  task agent
    open
    create a
stage
  task init
    load
    reboot

kernel v7.3
stage
  task agent
    open
    retrieve a
    finish a
    close a
`,
);
