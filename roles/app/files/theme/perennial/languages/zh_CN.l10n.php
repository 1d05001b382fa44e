<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Chinese (China) texts of the theme, in the format that WordPress loads without a .mo file.
 */

return array(
	'domain'       => 'perennial',
	'language'     => 'zh_CN',
	'plural-forms' => 'nplurals=1; plural=0;',
	'messages'     => array(
		'Main menu'                                       => '主菜单',
		'Footer menu'                                     => '页脚菜单',
		'Skip to content'                                 => '跳至正文',
		'Complaints and reports'                          => '投诉与举报',
		'User agreement'                                  => '用户协议',
		'Contact'                                         => '联系我们',
		'Newer'                                           => '较新',
		'Older'                                           => '较早',
		'Latest posts'                                    => '最新文章',
		'Search results for “%s”'                         => '“%s”的搜索结果',
		'Pinned'                                          => '置顶',
		'Nothing fits these words. Other words may help.' => '没有符合的内容，请换个词试试。',
		'There is nothing here yet.'                      => '这里还没有内容。',
		'This page does not exist'                        => '页面不存在',
		'It may have been moved or taken down.'           => '它可能已被移动或下架。',
		'Back to the home page'                           => '返回首页',
		'Comments'                                        => '评论',
		"%s comment\0%s comments"                         => '%s 条评论',
		'Search for'                                      => '搜索',
		'Search'                                          => '搜索',
		'Member'                                          => '成员',
		'The user name or the password is wrong.'         => '用户名或密码错误。',
	),
);
