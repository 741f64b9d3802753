/*
 * The functions of the kernels that are modelled, by source file, and which of them luosim leaves out, and why. What it
 * has says so itself, in a tag of the doc comment (@kernel, @simplified); build/kernel_map.ts puts the two together.
 *
 *   live update, whole     kernel/liveupdate/, mm/memfd_luo.c, lib/test_kho.c, lib/tests/liveupdate.c
 *   what it stands on      those that are modelled, and those that are left out on the path of an update
 *
 * Sources: 7.3.4 and 7.1.13; for v6.19 and v7.0 public copies. Known by name of the April 2026 series is no function
 * that v7.0 lacks. Where a function moved between files it stands in the one of v7.3. A function that is both tagged in
 * the sources and left out here, or neither, fails the build: take it off one list, or put it on one.
 */

export interface FunctionList {
  /** From the top of the kernel's tree. */
  readonly file: string;
  /** Kernels that have them; '' for all. */
  readonly revisions: string;
  readonly names: readonly string[];
}

export interface LeftOut {
  readonly why: string;
  readonly names: readonly string[];
}

const words = (text: string): string[] => text.trim().split(/\s+/);
const list = (file: string, revisions: string, names: string): FunctionList => ({
  file,
  revisions,
  names: words(names),
});
const leftOut = (why: string, names: string): LeftOut => ({ why, names: words(names) });

const SESSION = 'kernel/liveupdate/luo_session.c';
const FILE = 'kernel/liveupdate/luo_file.c';
const FLB = 'kernel/liveupdate/luo_flb.c';
const CORE = 'kernel/liveupdate/luo_core.c';
const KHO = 'kernel/liveupdate/kexec_handover.c';
const DEBUGFS = 'kernel/liveupdate/kexec_handover_debugfs.c';

const LIVE_UPDATE: readonly FunctionList[] = [
  list(
    SESSION,
    '',
    `luo_session_alloc luo_session_free luo_session_insert luo_session_remove luo_session_finish_one
     luo_session_freeze_one luo_session_unfreeze_one luo_session_release luo_session_preserve_fd
     luo_session_retrieve_fd luo_session_finish luo_session_ioctl luo_session_getfile luo_session_create
     luo_session_retrieve luo_session_setup_outgoing luo_session_setup_incoming luo_session_deserialize
     luo_session_serialize`,
  ),
  list(SESSION, 'v6.19', 'luo_session_quiesce luo_session_resume'),
  list(SESSION, 'since v7.1', 'luo_ioctl_type_valid'),
  list(SESSION, 'v7.3', 'luo_session_get_name luo_session_deserialize_one'),
  list(
    FILE,
    '',
    `luo_token_is_used luo_preserve_file luo_file_unpreserve_files luo_file_freeze_one luo_file_unfreeze_one
     __luo_file_unfreeze luo_file_freeze luo_file_unfreeze luo_retrieve_file luo_file_can_finish_one
     luo_file_finish_one luo_file_finish luo_file_deserialize luo_file_set_init luo_file_set_destroy
     liveupdate_register_file_handler liveupdate_unregister_file_handler`,
  ),
  list(FILE, 'v6.19 to v7.1', 'luo_alloc_files_mem luo_free_files_mem'),
  list(FILE, 'since v7.0', 'luo_get_id'),
  list(FILE, 'v7.3', 'luo_file_deserialize_one'),
  list(
    FLB,
    '',
    `luo_flb_get_private luo_flb_file_preserve_one luo_flb_retrieve_one luo_flb_file_preserve
     luo_flb_file_unpreserve luo_flb_file_finish liveupdate_register_flb liveupdate_unregister_flb
     liveupdate_flb_get_incoming liveupdate_flb_get_outgoing luo_flb_setup_outgoing luo_flb_setup_incoming
     luo_flb_serialize`,
  ),
  list(FLB, 'v6.19', 'luo_flb_file_finish_one'),
  list(FLB, 'v6.19 to v7.1', 'luo_flb_file_unpreserve_one'),
  list(FLB, 'since v7.1', 'liveupdate_flb_put_incoming luo_flb_unregister_one luo_flb_unregister_all'),
  list(FLB, 'v7.3', 'liveupdate_flb_put_outgoing'),
  list(
    CORE,
    '',
    `early_liveupdate_param luo_early_startup liveupdate_early_init luo_late_startup liveupdate_reboot
     liveupdate_enabled luo_ioctl_create_session luo_ioctl_retrieve_session luo_open luo_release luo_ioctl
     liveupdate_ioctl_init`,
  ),
  list(CORE, 'v6.19 to v7.1', 'luo_fdt_setup'),
  list(CORE, 'v7.3', 'luo_state_setup'),
  list('kernel/liveupdate/luo_internal.h', '', 'luo_ucmd_respond luo_restore_fail'),
  list(
    'kernel/liveupdate/kho_block.c',
    'v7.3',
    `kho_block_set_init kho_block_entries kho_block_entry kho_block_alloc_ser kho_block_free_ser kho_block_add
     kho_block_set_grow_one kho_block_set_shrink_one kho_block_set_grow kho_block_set_shrink
     kho_block_set_is_cyclic kho_block_set_restore kho_block_set_destroy kho_block_set_clear
     kho_block_set_it_init kho_block_set_it_reserve_entry kho_block_set_it_read_entry kho_block_set_it_prev`,
  ),
  list('include/linux/kho_block.h', 'v7.3', 'kho_block_set_head_pa kho_block_set_is_empty'),
  list(
    KHO,
    '',
    `kho_is_enabled kho_parse_enable kho_get_fdt kho_restore_page kho_restore_folio kho_restore_pages
     kho_get_mem_map_phys kho_parse_scratch_size scratch_size_update scratch_size_node kho_scratch_overlap
     kho_reserve_scratch kho_add_subtree kho_remove_subtree kho_retrieve_subtree kho_preserve_folio
     kho_unpreserve_folio __kho_unpreserve kho_preserve_pages kho_unpreserve_pages vmalloc_flags_to_kho
     kho_flags_to_vmalloc new_vmalloc_chunk kho_vmalloc_unpreserve_chunk kho_preserve_vmalloc
     kho_unpreserve_vmalloc kho_restore_vmalloc kho_alloc_preserve kho_unpreserve_free kho_restore_free is_kho_boot
     kho_out_fdt_setup kho_init kho_memory_init kho_populate kho_fill_kimage kho_walk_scratch kho_locate_mem_hole`,
  ),
  list(
    KHO,
    'v6.19',
    `xa_load_or_alloc __kho_preserve_order __kho_unpreserve_order new_chunk kho_mem_ser_free kho_mem_serialize
     kho_update_memory_map kho_finalize kho_finalized kho_mem_deserialize deserialize_bitmap`,
  ),
  list(KHO, 'v6.19 to v7.1', 'kho_release_scratch'),
  list(KHO, 'v7.0, v7.1', 'kho_radix_encode_key kho_radix_decode_key kho_radix_add_page kho_radix_del_page'),
  list(
    KHO,
    'since v7.0',
    `kho_radix_get_bitmap_index kho_radix_get_table_index kho_radix_walk_leaf __kho_radix_walk_tree
     kho_radix_walk_tree __kho_preserve_pages_order kho_init_pages kho_init_folio kho_preserved_memory_reserve
     kho_mem_retrieve kho_in_kexec_metadata kho_out_kexec_metadata kho_kexec_metadata_init`,
  ),
  list(
    KHO,
    'v7.3',
    `kho_encode_radix_key kho_decode_radix_key kho_radix_alloc_node kho_radix_free_node kho_radix_add_key
     kho_radix_del_key kho_radix_init_tree kho_radix_destroy_tree __kho_radix_destroy_tree kho_get_preserved_page
     kho_get_mem_map kho_ext_walk_leaf kho_ext_walk_node kho_ext_mark_scratch kho_extend_scratch
     kho_memory_init_early`,
  ),
  list(
    DEBUGFS,
    '',
    'scratch_phys_show scratch_len_show kho_in_debugfs_init kho_out_debugfs_init kho_debugfs_init',
  ),
  list(
    DEBUGFS,
    'v6.19',
    `__kho_debugfs_fdt_add kho_debugfs_fdt_add kho_debugfs_fdt_remove kho_out_finalize_get kho_out_finalize_set`,
  ),
  list(DEBUGFS, 'v7.3', '__kho_debugfs_blob_add kho_debugfs_blob_add kho_debugfs_blob_remove'),
  list(
    'mm/memfd_luo.c',
    '',
    `memfd_luo_preserve_folios memfd_luo_unpreserve_folios memfd_luo_preserve memfd_luo_freeze memfd_luo_unpreserve
     memfd_luo_discard_folios memfd_luo_retrieve_folios memfd_luo_retrieve memfd_luo_finish memfd_luo_can_preserve
     memfd_luo_init`,
  ),
  list('mm/memfd_luo.c', 'since v7.0', 'memfd_luo_get_id'),
  list(
    'lib/test_kho.c',
    '',
    `kho_test_unpreserve_data kho_test_preserve_data kho_test_prepare_fdt kho_test_preserve kho_test_generate_data
     kho_test_save kho_test_restore_data kho_test_restore kho_test_init kho_test_cleanup kho_test_exit`,
  ),
  list(
    'lib/tests/liveupdate.c',
    '',
    `test_flb_preserve test_flb_unpreserve test_flb_retrieve test_flb_finish liveupdate_test_init
     liveupdate_test_register`,
  ),
];

const REST: readonly FunctionList[] = [
  list('init/main.c', '', 'start_kernel parse_early_param do_early_param'),
  list('arch/x86/kernel/setup.c', '', 'setup_arch add_kho'),
  list('arch/x86/kernel/e820.c', '', 'parse_memopt'),
  list('arch/x86/kernel/kexec-bzimage64.c', '', 'setup_kho bzImage64_load'),
  list('arch/x86/kernel/machine_kexec_64.c', '', 'machine_kexec'),
  list('kernel/kexec.c', '', 'kexec_load'),
  list('kernel/kexec_file.c', '', 'kexec_file_load kexec_add_buffer'),
  list('kernel/kexec_core.c', '', 'kernel_kexec'),
  list('kernel/reboot.c', '', 'kernel_restart kernel_restart_prepare migrate_to_reboot_cpu'),
  list('arch/x86/kernel/reboot.c', '', 'machine_shutdown'),
  list('drivers/base/core.c', '', 'device_shutdown'),
  list('drivers/base/syscore.c', '', 'syscore_shutdown'),
  list('kernel/panic.c', '', 'panic'),
  list('kernel/printk/printk.c', '', 'printk'),
  list('kernel/exit.c', '', 'do_exit'),
  list('kernel/signal.c', '', '__x64_sys_kill'),
  list('kernel/sys.c', '', 'do_prlimit __sys_setuid'),
  list('kernel/sched/core.c', '', 'schedule'),
  list('kernel/locking/mutex.c', '', 'mutex_lock mutex_unlock'),
  list('kernel/locking/rwsem.c', '', 'down_read down_write up_read up_write rwsem_mark_wake'),
  list(
    'include/linux/lockdep.h',
    '',
    'lockdep_assert_held lockdep_assert_held_read lockdep_assert_held_write',
  ),
  list('include/linux/uaccess.h', '', 'copy_struct_from_user'),
  list('arch/x86/include/asm/uaccess.h', '', 'get_user'),
  list('fs/anon_inodes.c', '', 'anon_inode_getfile'),
  list(
    'fs/file.c',
    '',
    'get_unused_fd_flags put_unused_fd fd_install fget fdget fdget_raw file_close_fd ksys_dup',
  ),
  list('fs/file_table.c', '', 'fput __fput file_free files_maxfiles_init'),
  list('include/linux/fs.h', '', 'get_file'),
  list('mm/mm_init.c', '', 'mm_core_init mm_compute_batch init_cma_reserved_pageblock'),
  list('mm/mm_init.c', 'v6.19 to v7.1', 'memmap_init_kho_scratch_pages'),
  list('mm/mm_init.c', 'v7.3', 'init_deferred_page'),
  list('include/linux/memblock.h', '', 'memblock_reserve memblock_reserve_kern'),
  list(
    'mm/memblock.c',
    '',
    `memblock_reserved_mark_noinit memblock_mark_kho_scratch memblock_set_kho_scratch_only
     memblock_clear_kho_scratch_only memblock_phys_alloc_range memblock_phys_free memblock_reserved_kern_size
     memblock_free_all reserve_mem reserved_mem_preserve prepare_kho_fdt reserve_mem_init
     reserve_mem_kho_retrieve_fdt reserve_mem_kho_revive`,
  ),
  list(
    'mm/page_alloc.c',
    '',
    `__free_pages free_frozen_pages split_page split_large_buddy __free_one_page buddy_merge_likely __rmqueue
     __rmqueue_smallest __rmqueue_cma_fallback __rmqueue_claim __rmqueue_steal
     should_try_claim_block try_to_claim_block __move_freepages_block page_del_and_expand account_freepages
     get_page_from_free_area __add_to_free_list __del_page_from_free_list get_pageblock_migratetype
     set_pageblock_migratetype rmqueue_pcplist zone_watermark_ok __alloc_pages_direct_reclaim
     __alloc_pages_direct_compact`,
  ),
  list('include/linux/gfp.h', '', 'alloc_pages alloc_pages_node'),
  list('include/linux/mm.h', '', 'folio_put totalram_pages'),
  list('include/linux/mmzone.h', '', 'pfn_to_nid migratetype_is_mergeable'),
  list('include/linux/page_ref.h', '', 'page_ref_count set_page_count'),
  list('include/linux/swap.h', '', 'nr_free_pages'),
  list('include/asm-generic/getorder.h', '', 'get_order'),
  list('mm/memory_hotplug.c', '', 'pfn_to_online_page'),
  list('mm/slub.c', '', `calculate_order kmem_cache_alloc kmem_cache_free get_partial new_slab discard_slab`),
  list('mm/slab_common.c', '', 'kmem_cache_create kmalloc_size_roundup'),
  list('mm/vmalloc.c', '', 'vzalloc vfree'),
  list('lib/cmdline.c', '', 'memparse'),
  list('lib/kstrtox.c', '', 'kstrtobool kstrtouint'),
  list('lib/string.c', '', 'strscpy'),
  list('lib/xarray.c', '', 'xa_insert xa_erase'),
  list('kernel/module/main.c', '', 'try_module_get module_put delete_module'),
  list('mm/filemap.c', '', 'filemap_get_folio filemap_remove_folio'),
  list(
    'mm/shmem.c',
    '',
    `shmem_add_to_page_cache shmem_file_setup shmem_file_write_iter shmem_file_read_iter shmem_fault shmem_setattr
     shmem_fallocate shmem_get_folio shmem_alloc_and_add_folio shmem_inode_acct_blocks shmem_recalc_inode
     shmem_evict_inode shmem_undo_range`,
  ),
  list('include/linux/shmem_fs.h', '', 'shmem_freeze'),
  list('mm/memfd.c', '', 'memfd_add_seals'),
  list('mm/memcontrol.c', '', 'mem_cgroup_charge mem_cgroup_out_of_memory'),
  list('include/linux/memcontrol.h', '', 'mem_cgroup_uncharge'),
  list(
    'mm/util.c',
    '',
    `overcommit_policy_handler overcommit_ratio_handler overcommit_kbytes_handler vm_commit_limit
     vm_memory_committed __vm_enough_memory`,
  ),
  list('include/linux/mman.h', '', 'vm_acct_memory vm_unacct_memory'),
  list('mm/mmap.c', '', 'init_user_reserve init_admin_reserve'),
  list('mm/gup.c', '', 'check_and_migrate_movable_folios'),
  list('mm/vmscan.c', '', 'shrink_folio_list'),
  list('arch/x86/lib/csum-partial_64.c', '', 'csum_partial'),
  list(
    'scripts/dtc/libfdt/fdt.c',
    '',
    `fdt_ro_probe_ fdt_check_header fdt_next_tag fdt_check_node_offset_ fdt_next_node fdt_first_subnode
     fdt_next_subnode fdt_find_string_`,
  ),
  list(
    'scripts/dtc/libfdt/fdt_ro.c',
    '',
    `fdt_get_string fdt_num_mem_rsv fdt_subnode_offset fdt_path_offset fdt_get_name fdt_get_property fdt_getprop
     fdt_node_check_compatible`,
  ),
  list(
    'scripts/dtc/libfdt/fdt_rw.c, fdt_sw.c',
    '',
    `fdt_blocks_misordered_ fdt_splice_ fdt_splice_struct_ fdt_find_add_string_ fdt_add_property_ fdt_setprop
     fdt_add_subnode fdt_del_node fdt_open_into fdt_pack fdt_create fdt_finish_reservemap fdt_begin_node
     fdt_end_node fdt_property fdt_property_string fdt_finish fdt_grab_space_`,
  ),
];

/** Every function known, the files in the order in which the map is printed. */
export const KERNEL_FUNCTIONS: readonly FunctionList[] = [...LIVE_UPDATE, ...REST];

/** What luosim does not have. */
export const LEFT_OUT: readonly LeftOut[] = [
  leftOut(
    'there, in one with their callers: no code of their own here',
    `luo_token_is_used luo_file_unfreeze_one luo_file_can_finish_one luo_file_finish_one luo_file_set_init
     luo_file_set_destroy luo_alloc_files_mem luo_free_files_mem memfd_luo_unpreserve_folios
     luo_flb_file_unpreserve_one luo_flb_file_finish_one luo_flb_unregister_one luo_flb_unregister_all
     test_flb_preserve test_flb_unpreserve test_flb_retrieve test_flb_finish liveupdate_test_init`,
  ),
  leftOut(
    'there is no debugfs',
    `scratch_phys_show scratch_len_show kho_in_debugfs_init kho_out_debugfs_init kho_debugfs_init
     __kho_debugfs_fdt_add kho_debugfs_fdt_add kho_debugfs_fdt_remove kho_out_finalize_get kho_out_finalize_set
     __kho_debugfs_blob_add kho_debugfs_blob_add kho_debugfs_blob_remove kho_finalized`,
  ),
  leftOut(
    'every struct page is there from the start',
    'kho_get_preserved_page memblock_reserved_mark_noinit memmap_init_kho_scratch_pages init_deferred_page',
  ),
  leftOut('loading the module is an action of a program: save, or restore', 'kho_test_init'),
  leftOut('the test module is never unloaded', 'kho_test_cleanup kho_test_exit'),
  leftOut('the two addresses cross as they are, not in setup_data', 'add_kho setup_kho'),
  leftOut('an image has a size and no contents', 'bzImage64_load'),
  leftOut(
    'devices, other CPUs and notifiers have nothing to shut down',
    'kernel_restart_prepare migrate_to_reboot_cpu machine_shutdown device_shutdown syscore_shutdown',
  ),
  leftOut(
    'reserve_mem= is not modelled',
    `reserve_mem reserved_mem_preserve prepare_kho_fdt reserve_mem_init reserve_mem_kho_retrieve_fdt
     reserve_mem_kho_revive`,
  ),
  leftOut('the page allocator has no per-CPU lists', 'rmqueue_pcplist'),
  leftOut(
    'an allocation fails when no block is left, and not before',
    'zone_watermark_ok __alloc_pages_direct_reclaim __alloc_pages_direct_compact',
  ),
];
